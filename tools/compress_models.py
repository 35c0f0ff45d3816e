"""Copies a dataset with its simulator models compressed, for sets that ship with the repository.

python tools/compress_models.py SOURCE DESTINATION
"""

import sys
from pathlib import Path

from robolearn.episodes.formats import open_dataset
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.formats.hdf5 import write_episode

source, destination = map(Path, sys.argv[1:])
dataset = open_dataset(source)
with FolderWriter(destination) as writer:
    for episode in dataset.episodes(dataset.split("all")):
        staged = writer.stage("copy")
        write_episode(episode, staged, compress_model=True)
        writer.commit(staged)
