"""Decisions: pure functions and values, free of clocks, dice, files, sockets and logs."""
