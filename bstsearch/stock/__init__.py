"""Models of Hugging Face's transformers: what of a stock class can shrink, found by trying, and proved."""
