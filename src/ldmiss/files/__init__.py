"""Files, which no other part of the library touches: models, a person's own images, and atomic writes."""
