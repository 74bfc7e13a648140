"""The try-out: demo people with generated passwords, and the audit that ``make run`` shows."""
