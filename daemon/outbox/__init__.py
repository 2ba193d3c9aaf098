"""Publishing: results, records, logs, originals and failures, whole or not at all."""
