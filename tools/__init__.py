"""The project's own tools: what builds, checks and measures Corten. Nothing here is shipped."""
