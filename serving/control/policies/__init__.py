"""Policies as people write them: YAML in, `core.policy` values out, with a sentence for every mistake."""
