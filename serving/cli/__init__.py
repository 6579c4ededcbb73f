"""The command line: a thin client of the admin API, plus what runs locally."""
