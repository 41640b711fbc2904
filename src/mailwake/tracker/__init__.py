"""HTTP in: clicks and opens."""
