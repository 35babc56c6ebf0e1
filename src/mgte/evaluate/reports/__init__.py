"""Reports on what was measured: tables, pages and plots, beside published numbers."""
