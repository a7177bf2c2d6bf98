"""The page: a Streamlit front end over the engine."""
