"""Parts of a report's page: elements, charts, tables, and the page around them. No torch."""
