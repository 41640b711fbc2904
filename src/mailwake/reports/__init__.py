"""What people ask of the store: counts over time as clocks on walls have it, and by the hours of the week."""
