"""The player of one recording: a component of Streamlit's, written here, and what it is given to show."""
