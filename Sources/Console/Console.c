// The files of the console's page, put into the program by the compiler itself: whoever edits the page runs nothing, and
// an installed program needs no folder beside it. A test checks that every file of the folder is named here.
#include "CConsole.h"

// C23's own way; older modes of the compiler know it as an extension.
#pragma clang diagnostic ignored "-Wc23-extensions"

// One line a file, and the line in the table below.
static const unsigned char index_html[] = {
#embed "page/index.html"
};
static const unsigned char icon_svg[] = {
#embed "page/icon.svg"
};
static const unsigned char tokens_css[] = {
#embed "page/tokens.css"
};
static const unsigned char shell_css[] = {
#embed "page/shell.css"
};
static const unsigned char parts_css[] = {
#embed "page/parts.css"
};
static const unsigned char views_css[] = {
#embed "page/views.css"
};
static const unsigned char bundle_js[] = {
#embed "page/bundle.js"
};
static const unsigned char main_js[] = {
#embed "page/main.js"
};
static const unsigned char api_js[] = {
#embed "page/api.js"
};
static const unsigned char bus_js[] = {
#embed "page/bus.js"
};
static const unsigned char dom_js[] = {
#embed "page/dom.js"
};
static const unsigned char early_js[] = {
#embed "page/early.js"
};
static const unsigned char form_js[] = {
#embed "page/form.js"
};
static const unsigned char format_js[] = {
#embed "page/format.js"
};
static const unsigned char icons_js[] = {
#embed "page/icons.js"
};
static const unsigned char list_js[] = {
#embed "page/list.js"
};
static const unsigned char parts_js[] = {
#embed "page/parts.js"
};
static const unsigned char plot_js[] = {
#embed "page/plot.js"
};
static const unsigned char state_js[] = {
#embed "page/state.js"
};
static const unsigned char talkmodel_js[] = {
#embed "page/talkmodel.js"
};
static const unsigned char theme_js[] = {
#embed "page/theme.js"
};
static const unsigned char views_js[] = {
#embed "page/views.js"
};
static const unsigned char views_talk_js[] = {
#embed "page/views/talk.js"
};
static const unsigned char views_files_js[] = {
#embed "page/views/files.js"
};
static const unsigned char views_preview_js[] = {
#embed "page/views/preview.js"
};
static const unsigned char views_downloads_js[] = {
#embed "page/views/downloads.js"
};
static const unsigned char views_network_js[] = {
#embed "page/views/network.js"
};
static const unsigned char views_graph_js[] = {
#embed "page/views/graph.js"
};
static const unsigned char views_packets_js[] = {
#embed "page/views/packets.js"
};
static const unsigned char views_stats_js[] = {
#embed "page/views/stats.js"
};
static const unsigned char views_node_js[] = {
#embed "page/views/node.js"
};
static const unsigned char views_layer_js[] = {
#embed "page/views/layer.js"
};

#define PAGE_FILE(name, symbol) {name, symbol, sizeof symbol}

static const struct console_file files[] = {
  PAGE_FILE("index.html", index_html),
  PAGE_FILE("icon.svg", icon_svg),
  PAGE_FILE("tokens.css", tokens_css),
  PAGE_FILE("shell.css", shell_css),
  PAGE_FILE("parts.css", parts_css),
  PAGE_FILE("views.css", views_css),
  PAGE_FILE("bundle.js", bundle_js),
  PAGE_FILE("main.js", main_js),
  PAGE_FILE("api.js", api_js),
  PAGE_FILE("bus.js", bus_js),
  PAGE_FILE("dom.js", dom_js),
  PAGE_FILE("early.js", early_js),
  PAGE_FILE("form.js", form_js),
  PAGE_FILE("format.js", format_js),
  PAGE_FILE("icons.js", icons_js),
  PAGE_FILE("list.js", list_js),
  PAGE_FILE("parts.js", parts_js),
  PAGE_FILE("plot.js", plot_js),
  PAGE_FILE("state.js", state_js),
  PAGE_FILE("talkmodel.js", talkmodel_js),
  PAGE_FILE("theme.js", theme_js),
  PAGE_FILE("views.js", views_js),
  PAGE_FILE("views/talk.js", views_talk_js),
  PAGE_FILE("views/files.js", views_files_js),
  PAGE_FILE("views/preview.js", views_preview_js),
  PAGE_FILE("views/downloads.js", views_downloads_js),
  PAGE_FILE("views/network.js", views_network_js),
  PAGE_FILE("views/graph.js", views_graph_js),
  PAGE_FILE("views/packets.js", views_packets_js),
  PAGE_FILE("views/stats.js", views_stats_js),
  PAGE_FILE("views/node.js", views_node_js),
  PAGE_FILE("views/layer.js", views_layer_js),
};

size_t console_file_count(void) { return sizeof files / sizeof files[0]; }

const struct console_file *console_file_at(size_t place) {
  return place < console_file_count() ? &files[place] : NULL;
}
