"""The command line: reads options, calls the rooms below, prints what they return. No work of its own."""
