"""The parts of page_against_dash: servers, a client without a browser, a browser, and the same chart in Dash."""
