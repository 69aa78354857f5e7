"""The SQL of each page. Statements are put together from constants; what a viewer chose is bound."""
