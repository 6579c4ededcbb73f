"""Versions in the model registry of MLflow, over its REST interface alone."""
