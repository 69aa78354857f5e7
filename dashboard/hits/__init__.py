"""A list of utterances to read, hear and open: a component of Streamlit's, written here, and what it is given."""
