"""The data sets that Perdure knows by name."""

from __future__ import annotations

import difflib

from perdure.datasets._cifar import read_archive, read_pickles, read_strips
from perdure.datasets._digits import read_digits
from perdure.datasets._idx import read_idx_set
from perdure.datasets._info import DatasetInfo, Layout, Source
from perdure.datasets._tables import read_columns, read_csv

IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
FIRST_ROWS = ("train10k-images-idx3-ubyte", "train10k-labels-idx1-ubyte", *IDX[2:])
GITHUB = "https://raw.githubusercontent.com"
MNIST_AT = "https://ossci-datasets.s3.amazonaws.com/mnist"  # the original host no longer serves the files
FASHION_AT = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"  # the bucket's web address has no https
CAPYMOA_AT = f"{GITHUB}/adaptive-machine-learning/CapyMOA/095caba132be043ec4fddf5e01ddaab6f96fb336"
SCIKIT_MULTIFLOW_AT = f"{GITHUB}/scikit-multiflow/streaming-datasets/f1eb9f068c3450233721c3beac6fb0e880e9e7d7"
LOSING_AT = f"{GITHUB}/vlosing/driftDatasets/01d08dec716870a36ea793e26e7e896ba921fe5d/realWorld/outdoor"

DIGITS = tuple(str(digit) for digit in range(10))
FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
CIFAR = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""

_ALL = (
    DatasetInfo(
        name="digits",
        title="Optical recognition of handwritten digits",
        kind="image",
        shape=(1, 8, 8),
        classes=DIGITS,
        train_size=1_347,
        test_size=450,
        licence="CC BY 4.0",
        citation="E. Alpaydin, C. Kaynak, UCI Machine Learning Repository, 1998",
        homepage="https://archive.ics.uci.edu/dataset/80",
        layouts=(Layout("", (), read_digits),),
        package="sklearn",
    ),
    DatasetInfo(
        name="mnist",
        title="MNIST handwritten digits",
        kind="image",
        shape=(1, 28, 28),
        classes=DIGITS,
        train_size=60_000,
        test_size=10_000,
        licence="CC BY-SA 3.0, (c) Yann LeCun and Corinna Cortes",
        citation="Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Proc. IEEE 86(11), 1998",
        homepage="http://yann.lecun.com/exdb/mnist/",
        layouts=(Layout("mnist", IDX, read_idx_set), Layout("MNIST/raw", IDX, read_idx_set)),
        sources=(
            Source(
                f"{MNIST_AT}/{IDX[0]}.gz", 9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
            ),
            Source(
                f"{MNIST_AT}/{IDX[1]}.gz", 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
            ),
            Source(
                f"{MNIST_AT}/{IDX[2]}.gz", 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
            ),
            Source(
                f"{MNIST_AT}/{IDX[3]}.gz", 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
            ),
        ),
    ),
    DatasetInfo(
        name="fashion_mnist",
        title="Fashion-MNIST",
        kind="image",
        shape=(1, 28, 28),
        classes=FASHION,
        train_size=60_000,
        test_size=10_000,
        licence="MIT, (c) 2017 Zalando SE",
        citation="H. Xiao, K. Rasul, R. Vollgraf, arXiv:1708.07747, 2017",
        homepage="https://github.com/zalandoresearch/fashion-mnist",
        layouts=(
            Layout("fashion_mnist", IDX, read_idx_set),
            Layout("FashionMNIST/raw", IDX, read_idx_set),
            Layout(
                "fashion_mnist",
                FIRST_ROWS,
                read_idx_set,
                train_size=10_000,
                notes=("Fashion-MNIST: only the first 10,000 of the 60,000 training rows were found and used",),
            ),
        ),
        sources=(
            Source(
                f"{FASHION_AT}/{IDX[0]}.gz",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            Source(
                f"{FASHION_AT}/{IDX[1]}.gz", 29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
            ),
            Source(
                f"{FASHION_AT}/{IDX[2]}.gz",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            Source(
                f"{FASHION_AT}/{IDX[3]}.gz", 5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
            ),
        ),
    ),
    DatasetInfo(
        name="cifar100",
        title="CIFAR-100",
        kind="image",
        shape=(3, 32, 32),
        classes=tuple(CIFAR.split()),
        train_size=50_000,
        test_size=10_000,
        licence="none stated by its author, who asks for citation",
        citation="A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        layouts=(
            Layout("cifar100", ("train.zip", "test.zip"), read_strips),
            Layout("cifar-100-python", ("train", "test"), read_pickles),
            Layout("cifar100/cifar-100-python", ("train", "test"), read_pickles),
            Layout("cifar100", ("cifar-100-python.tar.gz",), read_archive),
        ),
        sources=(
            Source(
                "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
                169_001_437,
                "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
            ),
        ),
    ),
    DatasetInfo(
        name="electricity",
        title="Electricity prices of New South Wales, 1996-1998 (Elec2, normalised)",
        kind="tabular",
        shape=(6,),
        classes=("down", "up"),
        train_size=45_312,
        test_size=0,
        licence="data public, none stated; file from CapyMOA, BSD 3-clause",
        citation="M. Harries, Splice-2 comparative evaluation: electricity pricing, UNSW, 1999",
        homepage="https://github.com/adaptive-machine-learning/CapyMOA",
        layouts=(Layout("electricity", ("electricity.csv",), read_csv),),
        sources=(
            Source(
                f"{CAPYMOA_AT}/data/electricity.csv",
                2_546_667,
                "b96c120acb05078af777ec49113a682200a38f4ea93944af27b813c282184b79",
            ),
        ),
        ordered=True,
    ),
    DatasetInfo(
        name="weather",
        title="Daily weather at Offutt Air Force Base, 1949-1999 (NOAA)",
        kind="tabular",
        shape=(8,),
        classes=("no rain", "rain"),
        train_size=18_159,
        test_size=0,
        licence="US Government work (public domain); the repository states none",
        citation="R. Elwell, R. Polikar, IEEE Trans. Neural Networks 22(10), 2011",
        homepage="https://github.com/scikit-multiflow/streaming-datasets",
        layouts=(Layout("weather", ("weather.csv",), read_csv), Layout("noaa_weather", ("weather.csv",), read_csv)),
        sources=(
            Source(
                f"{SCIKIT_MULTIFLOW_AT}/weather.csv",
                772_138,
                "3c38f05bdc5c4cb115f122414c66976e3662c875d96d7199d9e47fc46aff150e",
            ),
        ),
        ordered=True,
    ),
    DatasetInfo(
        name="outdoor",
        title="Garden objects seen ten times under changing light",
        kind="tabular",
        shape=(21,),
        classes=tuple(f"object {number}" for number in range(40)),
        train_size=4_000,
        test_size=0,
        licence="none stated by its authors, who ask for citation",
        citation="V. Losing, B. Hammer, H. Wersing, IJCNN 2015",
        homepage="https://github.com/vlosing/driftDatasets",
        layouts=(Layout("outdoor", ("outdoorStream.data", "outdoorStream.labels"), read_columns),),
        sources=(
            Source(
                f"{LOSING_AT}/outdoorStream.data",
                582_962,
                "53f9d793056bf60f832ded0122a9f7286ea35e42fa019d2f4b2158bf6ef4ec1b",
            ),
            Source(
                f"{LOSING_AT}/outdoorStream.labels",
                11_000,
                "e2dceebd3ab87380f7d60c03d8838a07135ba661ba0d626ab519bd97d6244435",
            ),
        ),
        ordered=True,
    ),
)
CATALOGUE = {info.name: info for info in _ALL}


def list_datasets() -> tuple[DatasetInfo, ...]:
    """What is known of every data set that ``load`` takes, in a fixed order.

    >>> [info.name for info in list_datasets()]
    ['digits', 'mnist', 'fashion_mnist', 'cifar100', 'electricity', 'weather', 'outdoor']
    """
    return tuple(CATALOGUE.values())


def describe(name: str) -> DatasetInfo:
    """The entry of ``name``; ``ValueError`` naming the nearest one where there is none."""
    if name not in CATALOGUE:
        near = difflib.get_close_matches(name.lower(), CATALOGUE, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"unknown data set {name!r}: {hint}choose one of {', '.join(CATALOGUE)}")
    return CATALOGUE[name]
