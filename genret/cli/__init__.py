"""Commands: flags and gin in, one stage call out."""
