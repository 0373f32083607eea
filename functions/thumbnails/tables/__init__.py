"""Files of titles as people have them: exports of spreadsheets, and JSON."""
