"""The four strategies of transfer: how a trial fine-tunes, and what is made of the trials."""
