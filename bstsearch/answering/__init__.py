"""What answers questions: an exported folder, or a submodel chosen when the question comes."""
