"""Whether evaluation tells the truth: logs whose truth is known, and what is made of them."""
