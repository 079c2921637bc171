"""Analysis of text: documents into sentences, constituency trees, syntactic distances, and sentence vectors."""
