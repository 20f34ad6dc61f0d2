"""Read tables as people save them: CSV of any encoding and delimiter, xlsx and xls; cells know where they stand."""
