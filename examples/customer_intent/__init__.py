"""What a customer wants, from what they typed: text in, an intent out. A label encoding that changes under a pinned label map."""
