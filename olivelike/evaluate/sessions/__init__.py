"""Models loaded in the runtime: sessions on a target, their options, what they are fed."""
