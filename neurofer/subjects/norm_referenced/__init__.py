"""Multi-domain norm-referenced encoding (MD-NRE), after Stettler et al. 2023.

From the image to the answer: `dissection` chooses channels of the trunk, `templates` and
`localisation` find landmarks in them, `face_finder` (the FR pathway) finds the face and its head
type, `reference` moves the reference vector with the face, `readout` projects the difference from
it on the tuning vectors (Eq. 3), and `subject` joins them.
"""
