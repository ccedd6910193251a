"""Train an image model, write down its figure, and draw its pictures.

    python -m benchmarks.images --model dcgan|improved_gan|infogan --data mnist|cifar10|... [--preset NAME]
    python -m benchmarks.images --model vae|vae_iaf|conv_vae|conv_vae_iaf|resnet_vae|draw|pixelcnn|pixelrnn \\
        --data mnist-static|mnist-dynamic|cifar10|cifar10-subset|... [--preset NAME] [--n-samples K]
    python -m benchmarks.images --resume RUN [RUN ...] [--stop-after MINUTES]
    python -m benchmarks.images --ensemble RUN RUN ...
    python -m benchmarks.images --compare RUN RUN
    python -m benchmarks.images --table

Data is read from --data-dir or RLGEN_DATA. A run is kept in images/NAME_K below --log-folder: config.json,
progress.csv, tensorboard/, samples/, checkpoints/, final/, and in the end page.png and film.gif. Its figure
is recorded as results/images/NAME/seed<k>.json, NAME being <model>-<data>[-<labels>] and what differs from
the published settings. On the CPU a resumed run is the uninterrupted one, bit for bit. Classifiers that judge
samples are kept in logs/images/classifiers, wherever the runs are.

The figures and their commands; on CPUs one run a core, each of one thread (OMP_NUM_THREADS=1). --table
prints them beside the references.

1.  MNIST, 100 labels, 300 epochs; bar: mean error of two seeds at most 1.00 %. Reference: 0.93 +- 0.065 %
    over ten draws of labels (Salimans et al. 2016, table 1).

        for k in 0 1; do
            python -m benchmarks.images --model improved_gan --data mnist --labels-per-class 10 --seed $k &
        done; wait

    On one GPU ten draws; bars: mean at most 0.95 %, the ten averaged at most 0.86 %. Reference: 0.86 +-
    0.056 %, the 99.14 % of OpenAI's post.

        python -m benchmarks.images --model improved_gan --data mnist --labels-per-class 10 --device cuda \\
            --seeds 10 11 12 13 14 15 16 17 18 19 -f logs/ten --stop-after 25
        python -m benchmarks.images --resume logs/ten/images/improved_gan-mnist-100_* --stop-after 25
        python -m benchmarks.images --ensemble logs/ten/images/improved_gan-mnist-100_*

2.  InfoGAN on MNIST, 5,000 rounds, five seeds; bar: code_accuracy of the best at least 95 %. Reference: 95 %
    ("5 % error rate", Chen et al. 2016, section 7.2).

        for k in 0 1 2 3 4; do python -m benchmarks.images --model infogan --data mnist --seed $k; done

    Of the records seed 0 is of a CPU, the others of a GPU (--device cuda), whose random numbers are others.

3.  DCGAN; bars, of 10,000 samples: frechet_share_of_gaussian at most 0.333, least_class_share above 3 %. No
    published figure is of these features. The records are of a GPU (--device cuda).

        python -m benchmarks.images --model dcgan --data fashion-mnist --epochs 25
        python -m benchmarks.images --model dcgan --data cifar10-subset --epochs 150

    Improved GAN's tricks on and off, on a CPU, half as many maps and units as published, one seed: in --table
    the one of channels:[64, 32] hidden:[512]. Minibatch discrimination brings real and fake images into one
    batch, hence joint_batches without it; historical averaging is as published and at a weight that lets go
    (see DCGANConfig).

        for trick in "" joint_batches:True minibatch_kernels:100 virtual_batch_norm:True \\
            historical_averaging:1.0 historical_averaging:0.001; do
            python -m benchmarks.images --model dcgan --data fashion-mnist --epochs 3 --device cpu \\
                --settings channels:64,32 hidden:512 $trick; done

4.  CIFAR-10, 4,000 labels. CPU: five epochs, whose record has minutes_per_epoch and peak_memory_gb, on the
    subset of 10,000 images, a fifth of the whole and of its time. One GPU: 300 epochs, bar 22 %. Reference:
    18.63 +- 2.32 % after 1,200 epochs (Salimans et al. 2016, table 2).

        python -m benchmarks.images --model improved_gan --data cifar10-subset --labels-per-class 400 \\
            --epochs 5
        python -m benchmarks.images --model improved_gan --data cifar10 --epochs 300 --device cuda \\
            --settings constant_epochs:200 -f logs/300 --stop-after 25
        python -m benchmarks.images --resume logs/300/images/improved_gan-cifar10-4000-*_1 --stop-after 25

    The form for pictures, by minibatch discrimination; its record has the figures of samples, too. Its
    Inception score in the paper is of other features than ours.

        python -m benchmarks.images --model improved_gan --preset IMPROVED_GAN_CIFAR10_SAMPLES \\
            --data cifar10 --epochs 300 --device cuda --stop-after 25
        python -m benchmarks.images --resume logs/images/improved_gan-cifar10-4000-IMPROVED_GAN_*_1

5.  Static MNIST, test nats, K = 128 draws where there is a code. On CPUs, 70 to 140 minutes each; bars:
    pixelcnn 82.5, pixelrnn (1 layer of 32 maps) 83, draw below 90. References: 81.30, 80.75, 80.97 (64 steps,
    a bound; 87.40 without attention; a record's nats_bound is the figure to compare). On Linux
    MALLOC_TRIM_THRESHOLD_=1073741824 and MALLOC_MMAP_THRESHOLD_=1073741824 in the environment keep the memory
    of a step for the next one, which saves PixelCNN a tenth of its time.

        for flags in "pixelcnn --preset PIXELCNN_MNIST_SMALL" pixelrnn draw; do
            python -m benchmarks.images --model $flags --data mnist-static; done

    On one GPU; bars: pixelcnn 81.3, pixelrnn 80.0, draw 84, conv_vae_iaf 80.5. References: 81.30, 79.20,
    80.97, 79.88 (van den Oord et al. 2016, table 4; Gregor et al. 2015, table 2; Kingma et al. 2016, 6.1).

        python -m benchmarks.images --model pixelcnn --preset PIXELCNN_MNIST_WIDE --data mnist-static \\
            --device cuda --stop-after 25
        python -m benchmarks.images --model pixelrnn --preset DIAGONAL_BILSTM_MNIST_DEEP \\
            --data mnist-static --device cuda --stop-after 25
        python -m benchmarks.images --model draw --preset DRAW_MNIST_64 --data mnist-static --device cuda \\
            --stop-after 25
        python -m benchmarks.images --model conv_vae_iaf --data mnist-static --device cuda --stop-after 25
        python -m benchmarks.images --resume logs/images/RUN --stop-after 25

6.  What the flow adds, at the same decoder; bar: gain_nats at least 0.8, its interval above 0. Reference: 1.3
    to 2.0 nats, dynamic MNIST, convolutional (Kingma et al. 2016, table 1).

        for model in vae vae_iaf; do python -m benchmarks.images --model $model --data mnist-static; done
        python -m benchmarks.images --compare logs/images/vae-mnist-static_1 \\
            logs/images/vae_iaf-mnist-static_1

7.  CIFAR-10, bits for each value. On CPUs the subset, whose numbers are no published ones.

        for flags in vae vae_iaf resnet_vae "resnet_vae --settings flow:0" draw pixelcnn pixelrnn \\
            "conv_vae --epochs 10" "conv_vae_iaf --epochs 10" "draw --settings read_size:0 --epochs 12" \\
            "pixelrnn --settings layer:row --epochs 4" "pixelcnn --settings components:0 --epochs 3" \\
            "pixelcnn --settings components:0 layer:residual --epochs 3"; do
            python -m benchmarks.images --model $flags --data cifar10-subset; done

    The records of draw, of the first pixelcnn and of resnet_vae are of a GPU (--device cuda).

    On one GPU; bars: flow gains at least 0.1, pixelcnn below both. References: 3.54 and 3.74 (Kingma et al.
    2016, table 4, depth 4, two hidden layers), 2.92 (Salimans et al. 2017, table 1).

        python -m benchmarks.images --model resnet_vae --data cifar10 --device cuda --stop-after 25
        python -m benchmarks.images --model resnet_vae --data cifar10 --settings flow:0 --device cuda \\
            --stop-after 25
        python -m benchmarks.images --model pixelcnn --data cifar10 --device cuda --stop-after 25
        python -m benchmarks.images --resume logs/images/RUN --stop-after 25
        python -m benchmarks.images --compare logs/images/resnet_vae-cifar10-flow=0_1 \\
            logs/images/resnet_vae-cifar10_1

8.  An encoder for few labels (`benchmarks.image_uses --uses pretraining`; 15 minutes of a core).

        python -m benchmarks.images --model conv_vae --data mnist-dynamic --settings latent_size:8 --epochs 10

Hardware of the committed records: 2 vCPU of an AMD EPYC, or one NVIDIA H100; each has its `device`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated

import tyro

from benchmarks.images.data import NAMES
from benchmarks.images.plan import DEVICES, MODELS
from benchmarks.records import RESULTS
from rlgen import cli

PRESET = "preset"
arg = tyro.conf.arg


@dataclass(frozen=True)
class Options:
    """Train an image model on a data set, write down its figure, and draw its pictures."""

    model: Annotated[cli.MaybeText, cli.choice(MODELS, "none")] = None
    """Which model."""
    data: Annotated[cli.MaybeText, cli.choice(NAMES, "none")] = None
    """Which images."""
    data_dir: Annotated[cli.MaybePath, cli.one(Path, "DIR", "RLGEN_DATA")] = None
    """Folder of the data set's files, or of the pictures."""
    image_size: Annotated[cli.MaybeWhole, cli.whole("as-they-are")] = None
    """Height and width to which the pictures of a folder are cut and resized."""
    labels_per_class: Annotated[cli.MaybeWhole, cli.whole("published")] = None
    """Labelled images of each class, for improved_gan."""
    label_seed: Annotated[cli.MaybeWhole, cli.seed("seed")] = None
    """Of the choice of labelled images."""
    epochs: Annotated[cli.MaybeWhole, cli.whole(PRESET)] = None
    """Passes over the data. Learning rates fall where the preset has it, not sooner: see constant_epochs."""
    batch_size: Annotated[cli.MaybeWhole, cli.whole(PRESET, least=2)] = None
    """Images in a batch."""
    seed: Annotated[cli.MaybeWhole, cli.seed("0")] = None
    """Seed of everything else."""
    seeds: Annotated[tuple[int, ...], cli.SEEDS] = ()
    """Runs of several seeds side by side; for a GPU that one does not fill."""
    device: Annotated[cli.MaybeText, cli.choice(DEVICES, "auto")] = None
    """Where to compute; auto takes a GPU if there is one."""
    settings: Annotated[cli.MaybePairs, cli.PAIRS] = None
    """Settings of the model in place of the preset's, such as minibatch_kernels:100."""
    preset: Annotated[cli.MaybeText, cli.one(str, "NAME", "by-data")] = None
    """Published settings to start from, such as DRAW_MNIST_64 or IMPROVED_GAN_CIFAR10_SAMPLES."""
    n_samples: Annotated[cli.MaybeWhole, cli.whole("128")] = None
    """Draws of the code from which the likelihood of a test image is estimated."""
    samples: Annotated[cli.MaybeWhole, cli.whole("10000", least=2)] = None
    """Samples that figures of samples are of."""
    save_freq: Annotated[cli.MaybeWhole, cli.whole("5", least=0)] = None
    """Epochs between checkpoints; 0 for the last alone."""
    sample_freq: Annotated[cli.MaybeWhole, cli.whole("a-fiftieth")] = None
    """Epochs between grids of samples, which make the film; a tenth where pixels are drawn one by one."""
    stop_after: Annotated[cli.MaybeNumber, cli.number("never")] = None
    """Minutes of training after which to save and leave, with status 0."""
    progress: Annotated[bool, arg(aliases=["-P"])] = False
    """A progress bar, on a terminal."""
    log_folder: Annotated[Path, arg(aliases=["-f"], metavar="DIR")] = Path("logs")
    """Runs are kept in DIR/images/NAME_K."""
    results: Annotated[Path, arg(metavar="DIR")] = field(default_factory=lambda: RESULTS)
    """Folder of the records."""
    resume: Annotated[tuple[Path, ...], cli.RUNS] = ()
    """Continue these runs; all else comes from their config.json."""
    ensemble: Annotated[tuple[Path, ...], cli.RUNS] = ()
    """Average the classifiers of these finished runs of improved_gan."""
    compare: Annotated[tuple[Path, ...], cli.RUNS] = ()
    """Of two finished runs, by how much the second gives the same test images more likelihood."""
    table: bool = False
    """Print what is recorded, beside the papers' numbers."""


def check_alone(options: Options) -> None:
    """Refuse flags beside --ensemble, --compare or --table, which have no use for them.

    Raises:
        ValueError: Names them.
    """
    default = Options()
    given = [f.name for f in fields(Options) if getattr(options, f.name) != getattr(default, f.name)]
    for mode in ("table", "compare", "ensemble"):
        others = [f"--{name.replace('_', '-')}" for name in given if name not in (mode, "results")]
        if mode in given and others:
            raise ValueError(f"--{mode} goes with --results alone: leave {', '.join(others)} out")


def main(options: Options) -> list[Path]:
    """Train, or do what --ensemble, --compare or --table asks for; returns the folders of runs in training.

    Raises:
        ValueError: For what the user can mend.
        SystemExit: 130 or 143 after SIGINT or SIGTERM, with everything saved.
    """
    check_alone(options)
    from benchmarks.images import compare, launch, table

    if options.table:
        table.show(options.results)
        return []
    if options.compare:
        compare.compare(options.compare, options.results)
        return []
    if options.ensemble:
        table.average(options.ensemble, options.results)
        return []
    return launch.launch(options)


if __name__ == "__main__":
    sys.exit(cli.run(main, Options))
