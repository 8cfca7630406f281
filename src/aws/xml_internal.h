// SPDX-License-Identifier: Apache-2.0
/* A small tree of an XML document, read into an arena.
 *
 * Names are without their prefix; text is the character data directly inside the element. A DOCTYPE
 * is refused (no entities but the five built-in ones), depth is at most LIMIT_JSON_DEPTH,
 * elements at most XML_ELEMENTS_MAX. Comments and processing instructions are
 * skipped. */
#ifndef RECTIFY_AWS_XML_INTERNAL_H
#define RECTIFY_AWS_XML_INTERNAL_H

#include "base/error.h"
#include "base/str.h"

#define XML_ELEMENTS_MAX 500000u // an answer of ten megabytes has some 300,000

struct xml_attribute {
    struct str name, value; // name without prefix, "xmlns" ones left out
};

struct xml_node {
    struct str name, text;
    struct str tag;  // the parser's: the name with its prefix, a view of the document
    size_t text_cap; // the parser's
    const struct xml_attribute *attributes;
    size_t attribute_count;
    struct xml_node *first, *last, *next; // children; sibling
    struct xml_node *parent;
    size_t count; // children
};

/* The root element. A0183: not well-formed, A0184: over a limit or with a DOCTYPE. */
bool xml_parse(struct arena *arena, struct str text, struct xml_node **ret, struct error *err)
    __attribute__((warn_unused_result));
/* The first child of that name, or NULL. */
const struct xml_node *xml_child(const struct xml_node *node, struct str name);
/* Text of that child, or empty. */
struct str xml_child_text(const struct xml_node *node, struct str name);

#endif
