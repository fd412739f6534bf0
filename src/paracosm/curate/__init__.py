"""Curation: from folders of video or recordings to scored, selected, captioned clips."""
