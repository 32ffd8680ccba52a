"""What metrics of text share and is no metric: tokenizer, stems, WordNet, n-grams."""
