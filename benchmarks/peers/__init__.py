"""What Pointsman is measured against: each a program of its own, written the way its users write it."""
