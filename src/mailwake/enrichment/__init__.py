"""What can be said of an event beyond what was recorded: programs, places, machine or person."""
