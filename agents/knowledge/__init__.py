"""What agents may quote: documents in passages, found by words and by meaning, cited."""
