/* QR codes (ISO/IEC 18004): byte mode, error correction L, versions 1 to 10, which hold 271 bytes.
 * Mask 0 always: readers cope with any, and choosing the best is for codes that get dirty. */
#include "cli/cli.h"

#include <string.h>

enum { VERSIONS = 10, SIDE_MAX = 17 + 4 * VERSIONS, CODEWORDS_MAX = 346, ECC_MAX = 30 };

static const struct {
	int total, ecc, blocks; /* codewords; of them for correction in each block */
	int align[3];
} versions[VERSIONS + 1] = {
	{0},
	{26, 7, 1, {0}},
	{44, 10, 1, {6, 18}},
	{70, 15, 1, {6, 22}},
	{100, 20, 1, {6, 26}},
	{134, 26, 1, {6, 30}},
	{172, 18, 2, {6, 34}},
	{196, 20, 2, {6, 22, 38}},
	{242, 24, 2, {6, 24, 42}},
	{292, 30, 2, {6, 26, 46}},
	{346, 18, 4, {6, 28, 50}},
};

struct qr {
	int version, side;
	bool dark[SIDE_MAX][SIDE_MAX], fixed[SIDE_MAX][SIDE_MAX]; /* [row][column] */
};

static int data_codewords(int v)
{
	return versions[v].total - versions[v].ecc * versions[v].blocks;
}

static int pick_version(size_t n)
{
	for (int v = 1; v <= VERSIONS; v++)
		if ((int)n + (v < 10 ? 2 : 3) <= data_codewords(v))
			return v;
	return 0;
}

struct bits {
	uint8_t *bytes;
	int n;
};

static void put(struct bits *b, unsigned value, int len)
{
	for (int i = len - 1; i >= 0; i--, b->n++)
		b->bytes[b->n / 8] |= (uint8_t)((value >> i & 1) << (7 - b->n % 8));
}

static void encode_data(int v, const char *text, size_t n, uint8_t *out)
{
	struct bits b = {out, 0};
	int cap = data_codewords(v);

	put(&b, 4, 4); /* bytes */
	put(&b, (unsigned)n, v < 10 ? 8 : 16);
	for (size_t i = 0; i < n; i++)
		put(&b, (unsigned char)text[i], 8);
	put(&b, 0, cap * 8 - b.n < 4 ? cap * 8 - b.n : 4);
	b.n = (b.n + 7) / 8 * 8;
	for (unsigned pad = 0xec; b.n < cap * 8; pad ^= 0xec ^ 0x11)
		put(&b, pad, 8);
}

static uint8_t gf_mul(uint8_t x, uint8_t y)
{
	unsigned z = 0;

	for (int i = 7; i >= 0; i--) {
		z = z << 1 ^ (z >> 7) * 0x11d;
		z ^= (y >> i & 1u) * x;
	}
	return (uint8_t)z;
}

/* Remainder of the data by the generator polynomial of that degree. */
static void correction(const uint8_t *data, int n, int degree, uint8_t *out)
{
	uint8_t gen[ECC_MAX] = {0}, root = 1;

	gen[degree - 1] = 1;
	for (int i = 0; i < degree; i++) {
		for (int k = 0; k < degree; k++) {
			gen[k] = gf_mul(gen[k], root);
			if (k + 1 < degree)
				gen[k] ^= gen[k + 1];
		}
		root = gf_mul(root, 2);
	}
	memset(out, 0, (size_t)degree);
	for (int i = 0; i < n; i++) {
		uint8_t factor = data[i] ^ out[0];

		memmove(out, out + 1, (size_t)degree - 1);
		out[degree - 1] = 0;
		for (int k = 0; k < degree; k++)
			out[k] ^= gf_mul(gen[k], factor);
	}
}

/* Data and correction of all blocks, interleaved. */
static void interleave(int v, const uint8_t *data, uint8_t *out)
{
	int blocks = versions[v].blocks, ecc = versions[v].ecc, total = data_codewords(v);
	int small = total / blocks, longer = total % blocks, at = 0;
	uint8_t sums[4][ECC_MAX];
	const uint8_t *start[4];
	int len[4];

	for (int b = 0; b < blocks; b++) {
		len[b] = small + (b >= blocks - longer);
		start[b] = data;
		data += len[b];
		correction(start[b], len[b], ecc, sums[b]);
	}
	for (int i = 0; i <= small; i++)
		for (int b = 0; b < blocks; b++)
			if (i < len[b])
				out[at++] = start[b][i];
	for (int i = 0; i < ecc; i++)
		for (int b = 0; b < blocks; b++)
			out[at++] = sums[b][i];
}

static void set(struct qr *q, int row, int col, bool dark)
{
	if (row < 0 || col < 0 || row >= q->side || col >= q->side)
		return;
	q->dark[row][col] = dark;
	q->fixed[row][col] = true;
}

/* Rings around a centre: the finder has radius 4 with its white border, the alignment mark 2. */
static void rings(struct qr *q, int row, int col, int radius)
{
	for (int y = -radius; y <= radius; y++)
		for (int x = -radius; x <= radius; x++) {
			int d = abs(x) > abs(y) ? abs(x) : abs(y);

			set(q, row + y, col + x, radius == 4 ? d != 2 && d != 4 : d != 1);
		}
}

static void format_bits(struct qr *q)
{
	unsigned data = 1u << 3, rem = data, bits; /* level L, mask 0 */
	int n = q->side;

	for (int i = 0; i < 10; i++)
		rem = rem << 1 ^ (rem >> 9) * 0x537;
	bits = (data << 10 | rem) ^ 0x5412;
	for (int i = 0; i < 15; i++) {
		bool on = bits >> i & 1;

		set(q, i < 6 ? i : i < 8 ? i + 1 : n - 15 + i, 8, on);
		set(q, 8, i < 8 ? n - 1 - i : i < 9 ? 15 - i : 14 - i, on);
	}
	set(q, n - 8, 8, true);
}

static void version_bits(struct qr *q)
{
	unsigned rem = (unsigned)q->version, bits;

	for (int i = 0; i < 12; i++)
		rem = rem << 1 ^ (rem >> 11) * 0x1f25;
	bits = (unsigned)q->version << 12 | rem;
	for (int i = 0; i < 18 && q->version >= 7; i++) {
		set(q, i / 3, q->side - 11 + i % 3, bits >> i & 1);
		set(q, q->side - 11 + i % 3, i / 3, bits >> i & 1);
	}
}

static void draw_fixed(struct qr *q)
{
	const int *align = versions[q->version].align;
	int n = q->side, marks = q->version == 1 ? 0 : q->version < 7 ? 2 : 3;

	for (int i = 0; i < n; i++) {
		set(q, 6, i, i % 2 == 0);
		set(q, i, 6, i % 2 == 0);
	}
	rings(q, 3, 3, 4);
	rings(q, 3, n - 4, 4);
	rings(q, n - 4, 3, 4);
	for (int a = 0; a < marks; a++)
		for (int b = 0; b < marks; b++)
			if (!((a == 0 && b == 0) || (a == 0 && b == marks - 1) ||
			      (a == marks - 1 && b == 0)))
				rings(q, align[a], align[b], 2);
	format_bits(q);
	version_bits(q);
}

/* Two columns at a time, up and down, from the right; the timing column is left out. */
static void draw_data(struct qr *q, const uint8_t *bytes, int n)
{
	int i = 0;

	for (int right = q->side - 1; right >= 1; right -= 2) {
		if (right == 6)
			right = 5;
		for (int k = 0; k < q->side * 2; k++) {
			bool up = ((right + 1) & 2) == 0;
			int row = up ? q->side - 1 - k / 2 : k / 2, col = right - k % 2;
			bool on;

			if (q->fixed[row][col])
				continue;
			on = i < n * 8 && (bytes[i / 8] >> (7 - i % 8) & 1);
			i++;
			q->dark[row][col] = on ^ ((row + col) % 2 == 0);
		}
	}
}

static bool lit(const struct qr *q, int row, int col)
{
	return row < 0 || col < 0 || row >= q->side || col >= q->side || !q->dark[row][col];
}

bool cli_qr_print(FILE *out, const char *text)
{
	/* light modules are drawn, so that it can be read on dark terminals; two rows a line */
	static const char *const blocks[] = {" ", "▄", "▀", "█"};
	uint8_t data[CODEWORDS_MAX] = {0}, all[CODEWORDS_MAX] = {0};
	struct qr *q;
	size_t n = strlen(text);
	int v = pick_version(n);

	if (!v)
		return false;
	q = xcalloc(1, sizeof *q);
	q->version = v;
	q->side = 17 + 4 * v;
	encode_data(v, text, n, data);
	interleave(v, data, all);
	draw_fixed(q);
	draw_data(q, all, versions[v].total);
	for (int row = -4; row < q->side + 4; row += 2) {
		for (int col = -4; col < q->side + 4; col++)
			fputs(blocks[lit(q, row, col) * 2 + lit(q, row + 1, col)], out);
		fputc('\n', out);
	}
	free(q);
	return true;
}
