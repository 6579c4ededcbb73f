"""Versions, bundles and registries of models: the vocabulary that serving is built on, usable without it."""
