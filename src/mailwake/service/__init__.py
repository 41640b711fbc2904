"""Starting, watching and stopping everything."""
