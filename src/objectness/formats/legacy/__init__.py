"""Formats of older programs: Detectron1, Selective Search (.mat), Hosang et al."""
