resource "aws_lambda_function_url" "ingest" {
  #checkov:skip=CKV_AWS_258:A public URL has to be asked for, by function_url = "public"; the default wants signed requests
  count = var.function_url == "none" ? 0 : 1

  function_name      = module.ingest.name
  authorization_type = var.function_url == "public" ? "NONE" : "AWS_IAM"
  invoke_mode        = "BUFFERED"
}

# A caller needs two permissions: for the URL, and for the function as called by its URL.
locals {
  # (For `public` the provider grants the first when it makes the URL.)
  url_principals = var.function_url == "iam" ? toset(var.function_url_invokers) : toset([])
  # Resource names of CloudFormation, which allow letters and digits only.
  invoke_principals = var.function_url == "public" ? { Everybody = "*" } : {
    for principal in local.url_principals : "Invoker${substr(sha256(principal), 0, 16)}" => principal
  }
}

resource "aws_lambda_permission" "url" {
  for_each = local.url_principals

  statement_id           = "CallUrl${substr(sha256(each.value), 0, 16)}"
  action                 = "lambda:InvokeFunctionUrl"
  function_name          = module.ingest.name
  principal              = each.value
  function_url_auth_type = "AWS_IAM"

  depends_on = [aws_lambda_function_url.ingest]
}

# The second one by CloudFormation, since this version of the provider cannot say `InvokedViaFunctionUrl`. Without that the
# principals, `*` among them, might invoke the function itself, with payloads that look like those of a queue or stream.
resource "aws_cloudformation_stack" "url" {
  #checkov:skip=CKV_AWS_124:Nobody needs to hear of these events; the apply that causes them waits for them
  count = length(local.invoke_principals) == 0 ? 0 : 1

  name = "${local.prefix}-function-url"

  template_body = jsonencode({
    AWSTemplateFormatVersion = "2010-09-09"
    Description              = "Who may invoke ${local.prefix}-ingest by its URL."
    Resources = {
      for key, principal in local.invoke_principals : key => {
        Type = "AWS::Lambda::Permission"
        Properties = {
          Action                = "lambda:InvokeFunction"
          FunctionName          = module.ingest.name
          Principal             = principal
          InvokedViaFunctionUrl = true
        }
      }
    }
  })

  depends_on = [aws_lambda_function_url.ingest]
}
