"""Where data come from: agents, random inputs, logs, other libraries."""
