"""The paper's side of a run: tables, figures, claims and their rules, published numbers, the report."""
