"""The admin API: FastAPI on its own listener."""
