"""Scripts that measure, beside the reports that they wrote; no figure stands in a document without one."""
