"""Every attack that is defended against, and how it is known that the defence is what holds."""
