"""From text to batches: tokenizer, rows, cache on disk, loader. See each module's docstring for its terms."""
