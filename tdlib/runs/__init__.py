"""Former place of what lies in `tdlib.study` and `tdlib.grid` now; kept for those who import it from here."""
