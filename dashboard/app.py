"""The list of pages."""

from __future__ import annotations

# A worker process that is started afresh imports this script again: nothing may happen then.
if __name__ == "__main__":
    import streamlit as st

    from dashboard.views import explore

    st.set_page_config(page_title="Secateur", layout="wide", initial_sidebar_state=360)
    st.navigation([st.Page(explore.show, title="Explore", url_path="explore", default=True)], position="hidden").run()
