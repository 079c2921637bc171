"""What language says about how a sentence is spoken: documents, constituency trees, distances and sentence vectors."""
